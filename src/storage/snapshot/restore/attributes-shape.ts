import { flag, objectOf, optional, type Shape } from '../../records/shape';
import { attributeFields } from '../entry-shape';
import type { Attributes } from './attributes';

/** As plans have them. Those of earlier programs do not say whether owners are set: then they are not. */
export const restoredAttributes = objectOf<Omit<Attributes, 'withOwners'> & { readonly withOwners?: boolean }>({ ...attributeFields, withOwners: optional(flag) }) as Shape<Attributes>;
